function state = frames_take(state, hSI)
%FRAMES_TAKE  Send the newest frame, unless it came before.
stripe = hSI.hDisplay.stripeDataBuffer{hSI.hDisplay.stripeDataBufferPointer};
frame = stripe.frameNumberAcqMode(end);  % line scans come in batches
if ~isempty(state.scan) && frame == state.frame
    state.repeats = state.repeats + 1;
    return
end
if ~isempty(state.scan) && frame < state.frame
    state = frames_finish(state, 'another acquisition began, though this one never ended');
end
if isempty(state.scan)
    state = frames_begin(state, hSI, stripe);
    if isempty(state.scan)
        return
    end
end
state.frame = frame;
images = scan_images(stripe, state.scan);
state.empty = state.empty + isempty(images);
for k = 1:numel(images)
    state.sender = sender_frame(state.sender, images(k));
end
end
