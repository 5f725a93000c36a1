function state = frames_event(state, hSI, name, arguments)
%FRAMES_EVENT  Do what one of ScanImage's events asks for.
switch name
    case {'acqModeStart', 'focusStart'}
        state = frames_finish(state, 'another acquisition began');
        state = frames_ready(state, arguments);
        state.sender = sender_wait(state.sender, 0.2);  % no frame is waiting yet
    case 'frameAcquired'
        if state.errors < 5
            if isempty(state.sender)  % an acquisition that began before this function
                state = frames_ready(state, arguments);
            end
            state = frames_take(state, hSI);
            state.errors = 0;
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
        state = frames_new();
end
end
