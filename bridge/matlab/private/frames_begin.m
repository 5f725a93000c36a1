function state = frames_begin(state, hSI, stripe)
%FRAMES_BEGIN  Begin a session with its first frame, which gives size and pixel type.
%   Leaves `state.scan` empty if there is nothing to send.
if strcmp(get_setting(hSI, 'acqState', ''), 'focus') && ~state.options.focus
    return
end
scan = scan_settings(hSI, state.options);
if ~isempty(stripe.roiData)
    scan.transposed = get_setting(stripe.roiData{1}, 'transposed', true);
end
images = scan_images(stripe, scan);
if isempty(images)
    state.n_without_image = state.n_without_image + 1;
    return
end
scan = scan_print_notices(scan, stripe, images);
state.sender = sender_begin(state.sender, scan_start(hSI, scan, images));
state.scan = scan;
end
