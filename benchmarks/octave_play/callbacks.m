function callbacks(result, n_frames, rate_hz, lines, varargin)
% Call the user function n_frames times, as ScanImage would, with random square images.
%   rate_hz 0: as fast as possible. Writes the duration of each call in ms as JSON.
n_images = 20;
for i = n_images:-1:1
    field = struct('channels', 1, 'zs', 0, 'imageData', {{{image_of(lines)}}});
    stripes{i} = struct('frameNumberAcqMode', 0, 'frameTimestamp', 0, 'roiData', {{field}});
end
hSI = struct('acqState', 'grab', 'hRoiManager', struct('scanFrameRate', 30));
hSI.hDisplay = struct('stripeDataBufferPointer', 1);
make_event = @(name) struct('EventName', name);
rtrecon_frames(struct('hSI', hSI), make_event('acqModeStart'), varargin{:});
cost_ms = zeros(1, n_frames);
began = tic;
for frame = 1:n_frames
    stripe = stripes{mod(frame, n_images) + 1};
    stripe.frameNumberAcqMode = frame;
    stripe.frameTimestamp = frame / 30;
    hSI.hDisplay.stripeDataBuffer = {stripe};
    if rate_hz > 0
        pause(frame / rate_hz - toc(began));
    end
    call = tic;
    rtrecon_frames(struct('hSI', hSI), make_event('frameAcquired'));
    cost_ms(frame) = 1000 * toc(call);
end
for name = {'acqModeDone', 'applicationWillClose'}
    rtrecon_frames(struct('hSI', hSI), make_event(name{1}));
end
file = fopen(result, 'w');
fwrite(file, jsonencode(cost_ms));
fclose(file);
end

function pixels = image_of(lines)
pixels = int16(3000 * rand(lines, lines) - 500);
end
