function state = frames_finish(state, reason)
%FRAMES_FINISH  End the open session, if there is one, and print its counts.
if ~isempty(state.scan)
    state.scan = [];
    state.sender = sender_end(state.sender, reason);
    cost_ms = sort(state.cost_ms(1:min(end, state.n_calls)));
    fprintf(['rtrecon: %d frames sent, %d dropped, %d repeats and %d without an image ' ...
             'left out; %.2f ms in the callback (99 %%: %.2f, longest %.2f)\n'], ...
            state.sender.frames, state.sender.dropped, state.n_repeated, ...
            state.n_without_image, ...
            cost_ms(ceil([0.5, 0.99, 1] * end)));
    if state.sender.dropped > 0 && ~isempty(state.sender.connection.failure)
        fprintf('rtrecon: %s\n', state.sender.connection.failure);
    end
elseif state.n_without_image > 0
    fprintf(['rtrecon: nothing sent: %d frames came without an image, as those of a ' ...
             'line scan do\n'], state.n_without_image);
end
fresh = frames_new_state();
for name = {'newest_frame', 'n_repeated', 'n_without_image', 'n_calls'}
    state.(name{1}) = fresh.(name{1});
end
end
