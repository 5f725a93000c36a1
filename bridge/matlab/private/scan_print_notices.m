function scan = scan_print_notices(scan, stripe, images)
%SCAN_PRINT_NOTICES  Print, once per session, what a user may not expect.
missing = setdiff(scan.channels, [images.channel]);
if ~isempty(missing)
    fprintf(['rtrecon: channel %s is requested but not delivered; tick Display for ' ...
             'it in ScanImage''s Channels window\n'], strjoin(num2cellstr(missing), ', '));
end
fields = numel(stripe.roiData);
sent = numel(unique({images.roi}));
if sent < fields
    fprintf(['rtrecon: %d of %d scan fields are sent; the argument ''rois'' selects ' ...
             'them\n'], sent, fields);
end
if scan.repeats > 1
    fprintf(['rtrecon: each volume has %d frames of each plane; the first of them is ' ...
             'sent\n'], scan.repeats);
end
if scan.rolling > 1
    fprintf(['rtrecon: the display averages %d frames; frames are sent without ' ...
             'averaging\n'], scan.rolling);
end
end

function texts = num2cellstr(numbers)
texts = arrayfun(@(n) sprintf('%d', n), numbers(:)', 'UniformOutput', false);
end
