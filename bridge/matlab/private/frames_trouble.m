function state = frames_trouble(state, message)
%FRAMES_TROUBLE  Count an error; say the first, and the last before giving up.
state.errors = state.errors + 1;
if state.errors == 1
    fprintf('rtrecon: %s\n', message);
elseif state.errors == 5
    fprintf(['rtrecon: off until the next acquisition, after 5 errors in a row, the ' ...
             'last of them: %s\n'], message);
end
end
