function images = scan_images(stripe, scan)
%SCAN_IMAGES  The images of one frame: one per selected scan field, channel and plane.
%   A struct array with frame, t, channel, plane, roi ('' for a single field), shape
%   [lines, pixels] and pixels: int16 or uint16, line after line in memory.
%
%   ScanImage stores an image as pixels x lines, and MATLAB stores columns first, so
%   that lines follow each other already: do not transpose. The order of the channels is
%   that of roiData.channels. Flyback has no image. If a volume has several frames of
%   each plane, the first of them is sent.
images = struct('frame', {}, 't', {}, 'channel', {}, 'plane', {}, 'roi', {}, ...
                'shape', {}, 'pixels', {});
if ~isscalar(stripe.frameNumberAcqMode)
    return  % line scans come in batches without images
end
if mod(mod(stripe.frameNumberAcqMode - 1, scan.per_volume), scan.repeats) ~= 0
    return
end
fields = stripe.roiData;
for i = select_fields(scan.rois, numel(fields))
    field = fields{i};
    for c = 1:numel(field.channels)
        if isempty(scan.channels) || any(scan.channels == field.channels(c))
            for k = 1:numel(field.imageData{c})
                images(end + 1) = scan_image(stripe, scan, i, c, k); %#ok<AGROW> a handful
            end
        end
    end
end
end

function indices = select_fields(wanted, count)
indices = 1:count;
if all(isfinite(wanted))
    indices = wanted(:)';
    indices = indices(indices <= count);
end
end
