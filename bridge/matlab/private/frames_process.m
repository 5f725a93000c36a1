function state = frames_process(state, hSI)
%FRAMES_PROCESS  Send the newest frame, unless it was sent already.
stripe = hSI.hDisplay.stripeDataBuffer{hSI.hDisplay.stripeDataBufferPointer};
frame = stripe.frameNumberAcqMode(end);  % line scans come in batches
if ~isempty(state.scan) && frame == state.newest_frame
    state.n_repeated = state.n_repeated + 1;
    return
end
if ~isempty(state.scan) && frame < state.newest_frame
    state = frames_finish(state, 'another acquisition began, though this one never ended');
end
if isempty(state.scan)
    state = frames_begin(state, hSI, stripe);
    if isempty(state.scan)
        return
    end
end
state.newest_frame = frame;
images = scan_images(stripe, state.scan);
state.n_without_image = state.n_without_image + isempty(images);
for k = 1:numel(images)
    state.sender = sender_frame(state.sender, images(k));
end
end
