function image = scan_image(stripe, scan, i, c, k)
%SCAN_IMAGE  The image of the i-th scan field, its c-th channel and k-th depth.
field = stripe.roiData{i};
pixels = field.imageData{c}{k};
if ~scan.transposed
    pixels = pixels.';
end
if ~isa(pixels, 'int16') && ~isa(pixels, 'uint16')
    % A rolling average converts frames to int32; their values are unchanged.
    pixels = cast(pixels, scan.type);
end
roi = '';
if scan.many_rois && numel(stripe.roiData) > 1
    roi = roi_name(field, i);
end
image = struct('frame', floor((stripe.frameNumberAcqMode - 1) / scan.per_volume) + 1, ...
               't', stripe.frameTimestamp, 'channel', field.channels(c), ...
               'plane', plane_of(stripe, scan, field, k), 'roi', roi, ...
               'shape', [size(pixels, 2), size(pixels, 1)], 'pixels', pixels);
end

function plane = plane_of(stripe, scan, field, k)
% Counted from 0: by depth, or by order if depths repeat or have other units.
plane = find(abs(scan.planes - field.zs(k)) < 1e-3) - 1;
if ~isscalar(plane)
    plane = mod(stripe.frameNumberAcqMode - 1, scan.per_volume);
    plane = floor(plane / scan.repeats);
    plane = min(plane, numel(scan.planes) - 1);
end
end

function name = roi_name(field, i)
name = get_setting(field, 'hRoi.uuid', get_setting(field, 'hRoi.name', ''));
if ~ischar(name) || isempty(name)
    name = sprintf('%d', i);
end
name = name(1:min(end, 64));
end
