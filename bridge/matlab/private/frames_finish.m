function state = frames_finish(state, reason)
%FRAMES_FINISH  End the session that is open, if one is, and say how it went.
if ~isempty(state.scan)
    state.scan = [];
    state.sender = sender_end(state.sender, reason);
    cost_ms = sort(state.cost_ms(1:min(end, state.calls)));
    fprintf(['rtrecon: %d frames sent, %d dropped, %d repeats and %d without an image ' ...
             'left out; %.2f ms in the callback (99 %%: %.2f, longest %.2f)\n'], ...
            state.sender.frames, state.sender.dropped, state.repeats, state.empty, ...
            cost_ms(ceil([0.5, 0.99, 1] * end)));
    if state.sender.dropped > 0 && ~isempty(state.sender.door.trouble)
        fprintf('rtrecon: %s\n', state.sender.door.trouble);
    end
elseif state.empty > 0
    fprintf(['rtrecon: nothing sent: %d frames came without an image, as those of a ' ...
             'line scan do\n'], state.empty);
end
fresh = frames_new();
for name = {'frame', 'repeats', 'empty', 'calls'}
    state.(name{1}) = fresh.(name{1});
end
end
