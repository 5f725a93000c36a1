function session = new_session()
%NEW_SESSION  A name that no other session has.
session = char(javaMethod('toString', javaMethod('randomUUID', 'java.util.UUID')));
end
