function play(plan_file)
% Be ScanImage to the user function: settings, stripes and events as a plan says.
%   Pixels are read one image after another, as pixels x lines, which is how they lie.
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
begun = tic;
for event = each(plan.events)
    hSI.acqState = plan.mode;
    if ~isempty(event.stripe)
        p = mod(hSI.hDisplay.stripeDataBufferPointer, 3) + 1;
        hSI.hDisplay.stripeDataBuffer{p} = stripe_from(event.stripe, file);
        hSI.hDisplay.stripeDataBufferPointer = p;
    end
    pause(event.at_s - toc(begun));
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

function items = each(list)
% A row to go through, of what jsondecode made of a list.
if iscell(list)
    list = [list{:}];
end
items = list(:)';
end

function stripe = stripe_from(told, file)
stripe = struct('frameNumberAcqMode', told.frame, 'frameTimestamp', told.t, ...
                'endOfFrame', true, 'roiData', {{}});
if isempty(told.fields)
    return
end
for field = each(told.fields)
    data = struct('channels', field.channels', 'zs', field.zs', 'transposed', true, ...
                  'hRoi', struct('uuid', field.uuid), 'imageData', {{}});
    for c = 1:numel(field.channels)
        for k = 1:numel(field.zs)
            size_ = [field.shape(2), field.shape(1)];
            image = fread(file, size_, ['int16=>' told.type]);
            data.imageData{c}{k} = image;
        end
    end
    stripe.roiData{end + 1} = data;
end
end
