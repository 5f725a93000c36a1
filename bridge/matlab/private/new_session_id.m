function session = new_session_id()
%NEW_SESSION_ID  A new session id, a random UUID.
session = char(javaMethod('toString', javaMethod('randomUUID', 'java.util.UUID')));
end
