function state = frames_begin(state, hSI, stripe)
%FRAMES_BEGIN  Begin a session with its first frame, whose images say size and type.
%   Leaves `state.scan` empty where there is nothing to send.
if strcmp(setting(hSI, 'acqState', ''), 'focus') && ~state.options.focus
    return
end
scan = scan_settings(hSI, state.options);
if ~isempty(stripe.roiData)
    scan.transposed = setting(stripe.roiData{1}, 'transposed', true);
end
images = scan_images(stripe, scan);
if isempty(images)
    state.empty = state.empty + 1;
    return
end
scan = scan_notices(scan, stripe, images);
state.sender = sender_begin(state.sender, scan_start(hSI, scan, images));
state.scan = scan;
end
