function state = frames_event(state, hSI, name, arguments)
%FRAMES_EVENT  Handle one of ScanImage's events.
switch name
    case {'acqModeStart', 'focusStart'}
        state = frames_finish(state, 'another acquisition began');
        state = frames_open_sender(state, arguments);
        state.sender = sender_wait(state.sender, 0.2);  % no frame has to be sent yet
    case 'frameAcquired'
        if state.n_errors < 5
            if isempty(state.sender)  % an acquisition that began before this function
                state = frames_open_sender(state, arguments);
            end
            state = frames_process(state, hSI);
            state.n_errors = 0;
        end
    case {'acqModeDone', 'focusDone'}
        state = frames_finish(state, 'done');
    case 'acqAbort'
        state = frames_finish(state, 'aborted');
    case 'applicationWillClose'
        state = frames_finish(state, 'ScanImage closes');
        if ~isempty(state.sender)
            sender_close(state.sender);
        end
        state = frames_new_state();
end
end
