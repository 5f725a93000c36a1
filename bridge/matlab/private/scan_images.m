function images = scan_images(stripe, scan)
%SCAN_IMAGES  The images of one frame: one for each scan field, channel and plane asked for.
%   A struct array with frame, t, channel, plane, roi ('' where there is only one), shape
%   [lines, pixels] and pixels: int16 or uint16, line after line in memory.
%
%   ScanImage keeps an image as pixels x lines, and MATLAB stores columns first: lines
%   follow each other already, and nothing has to be transposed. Channels lie in the order
%   of roiData.channels, which need not begin with 1. Flyback has no image at all.
images = struct('frame', {}, 't', {}, 'channel', {}, 'plane', {}, 'roi', {}, ...
                'shape', {}, 'pixels', {});
if ~isscalar(stripe.frameNumberAcqMode)
    return  % line scans come in batches, without images
end
fields = stripe.roiData;
for i = chosen(scan.rois, numel(fields))
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

function places = chosen(wanted, count)
places = 1:count;
if all(isfinite(wanted))
    places = wanted(:)';
    places = places(places <= count);
end
end
