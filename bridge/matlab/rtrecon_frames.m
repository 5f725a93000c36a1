function rtrecon_frames(src, evt, varargin)
%RTRECON_FRAMES  ScanImage user function: sends every frame to rtrecon as it comes.
%
%   Enter it in ScanImage's User Functions dialog for the events acqModeStart,
%   frameAcquired, acqModeDone, acqAbort, focusStart and focusDone (README.md here).
%   One press of FOCUS, GRAB or LOOP is one session. Arguments are names and values:
%
%     'channels'   which to send, as [1 2]; [] = all that ScanImage displays
%     'rois'       which scan fields to send where there are several: 1, [1 3], Inf = all
%     'focus'      false leaves FOCUS out (default true)
%     'transport'  'tcp' (default, nothing to install) or 'jeromq'
%     'address'    of the daemon; default tcp://127.0.0.1:5561, by JeroMQ 5560
%     'keys'       folder from `rtrecon keys`, for a daemon on another computer
%
%   It never waits for the daemon: what cannot be sent at once is counted as dropped. It
%   throws nothing at ScanImage; after five errors in a row it is off until the next
%   acquisition. When a session ends it prints its counts and what it cost.
persistent state
began = tic;
if isempty(state)
    state = frames_new();
end
if any(strcmp(evt.EventName, {'acqModeStart', 'focusStart'}))
    state.errors = 0;
end
try
    state = frames_event(state, src.hSI, evt.EventName, varargin);
catch problem
    state = frames_trouble(state, problem.message);
end
if strcmp(evt.EventName, 'frameAcquired')
    state.calls = state.calls + 1;
    state.cost_ms(mod(state.calls - 1, numel(state.cost_ms)) + 1) = 1000 * toc(began);
end
end
