function rtrecon_frames(src, evt, varargin)
%RTRECON_FRAMES  ScanImage user function: sends every frame to rtrecon.
%
%   Enter it in ScanImage's User Functions dialog for the events acqModeStart,
%   frameAcquired, acqModeDone, acqAbort, focusStart and focusDone (README.md here).
%   One press of FOCUS, GRAB or LOOP is one session. Arguments are names and values:
%
%     'channels'   channels to send, such as [1 2]; [] = all that ScanImage displays
%     'rois'       scan fields to send, if there are several: 1, [1 3], Inf = all
%     'focus'      false: do not send frames of FOCUS (default true)
%     'transport'  'tcp' (default, nothing to install) or 'jeromq'
%     'address'    of the daemon; default tcp://127.0.0.1:5561, by JeroMQ 5560
%     'keys'       folder from `rtrecon keys`, for a daemon on another computer
%
%   It never waits for the daemon: frames that cannot be sent at once are counted as
%   dropped. It raises no errors in ScanImage; after five errors in a row it is off until
%   the next acquisition. At the end of a session it prints counts and its own run time.
persistent state
began = tic;
if isempty(state)
    state = frames_new_state();
end
if any(strcmp(evt.EventName, {'acqModeStart', 'focusStart'}))
    state.n_errors = 0;
end
try
    state = frames_event(state, src.hSI, evt.EventName, varargin);
catch problem
    state = frames_count_error(state, problem.message);
end
if strcmp(evt.EventName, 'frameAcquired')
    state.n_calls = state.n_calls + 1;
    state.cost_ms(mod(state.n_calls - 1, numel(state.cost_ms)) + 1) = 1000 * toc(began);
end
end
