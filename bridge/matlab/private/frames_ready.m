function state = frames_ready(state, arguments)
%FRAMES_READY  Read the arguments and make the sender, unless they are as they were.
if ~isempty(state.sender) && isequal(arguments, state.arguments)
    return
end
known = struct('channels', [], 'rois', 1, 'focus', true);
options = options_from(sender_options(known), arguments);
if ~isempty(state.sender)
    sender_close(state.sender);
end
state.sender = sender_new(options);
state.options = options;
state.arguments = arguments;
end
