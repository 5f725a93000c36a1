function state = frames_open_sender(state, arguments)
%FRAMES_OPEN_SENDER  Read the arguments and open the sender, unless they are unchanged.
if ~isempty(state.sender) && isequal(arguments, state.arguments)
    return
end
defaults = struct('channels', [], 'rois', 1, 'focus', true);
options = parse_options(sender_options(defaults), arguments);
if ~isempty(state.sender)
    sender_close(state.sender);
end
state.sender = sender_new(options);
state.options = options;
state.arguments = arguments;
end
