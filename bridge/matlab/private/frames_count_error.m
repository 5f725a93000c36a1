function state = frames_count_error(state, message)
%FRAMES_COUNT_ERROR  Count an error; print the first, and the last before giving up.
state.n_errors = state.n_errors + 1;
if state.n_errors == 1
    fprintf('rtrecon: %s\n', message);
elseif state.n_errors == 5
    fprintf(['rtrecon: off until the next acquisition, after 5 errors in a row, the ' ...
             'last of them: %s\n'], message);
end
end
