function play(plan_file)
% Act as ScanImage for the user function: settings, stripes and events of a plan.
%   Pixels are read image by image, stored as pixels x lines.
plan = jsondecode(fileread(plan_file));
addpath(plan.bridge);
if ~isempty(plan.jar)
    javaaddpath(plan.jar);
end
hSI = plan.settings;
hSI.hDisplay.stripeDataBuffer = cell(1, 3);
hSI.hDisplay.stripeDataBufferPointer = 1;
file = fopen(plan.pixels, 'r');
cost_ms = [];
start = tic;
for event = each(plan.events)
    hSI.acqState = plan.mode;
    if ~isempty(event.stripe)
        p = mod(hSI.hDisplay.stripeDataBufferPointer, 3) + 1;
        hSI.hDisplay.stripeDataBuffer{p} = stripe_from(event.stripe, file);
        hSI.hDisplay.stripeDataBufferPointer = p;
    end
    wait_until_received(plan.receipt, event.n_before);
    pause(event.at_s - toc(start));
    call = tic;
    rtrecon_frames(struct('hSI', hSI), struct('EventName', event.name), ...
                   plan.arguments{:});
    if strcmp(event.name, 'frameAcquired')
        cost_ms(end + 1) = 1000 * toc(call); %#ok<AGROW>
    end
end
fclose(file);
file = fopen(plan.result, 'w');
fwrite(file, jsonencode(struct('cost_ms', {cost_ms})));
fclose(file);
end

function wait_until_received(receipt, count)
% Wait until the receipt has a byte for each of `count` images.
began = tic;
while count > 0 && stat(receipt).size < count
    if toc(began) > 60
        error('%d of %d images received', stat(receipt).size, count);
    end
    pause(0.001);
end
end

function items = each(list)
% A row of structs from a list that jsondecode has read.
if iscell(list)
    list = [list{:}];
end
items = list(:)';
end

function stripe = stripe_from(frame, file)
stripe = struct('frameNumberAcqMode', frame.frame, 'frameTimestamp', frame.t, ...
                'endOfFrame', true, 'roiData', {{}});
if isempty(frame.fields)
    return
end
for field = each(frame.fields)
    data = struct('channels', field.channels', 'zs', field.zs', 'transposed', true, ...
                  'hRoi', struct('uuid', field.uuid), 'imageData', {{}});
    for c = 1:numel(field.channels)
        for k = 1:numel(field.zs)
            size_ = [field.shape(2), field.shape(1)];
            image = fread(file, size_, ['int16=>' frame.type]);
            data.imageData{c}{k} = image;
        end
    end
    stripe.roiData{end + 1} = data;
end
end
