function scan = scan_notices(scan, stripe, images)
%SCAN_NOTICES  Say, once a session, what is not as somebody may expect it to be.
missing = setdiff(scan.channels, [images.channel]);
if ~isempty(missing)
    fprintf(['rtrecon: channel %s is asked for but not delivered; tick Display for ' ...
             'it in ScanImage''s Channels window\n'], strjoin(num2cellstr(missing), ', '));
end
fields = numel(stripe.roiData);
sent = numel(unique({images.roi}));
if sent < fields
    fprintf(['rtrecon: %d of %d scan fields are sent; the argument ''rois'' says ' ...
             'which\n'], sent, fields);
end
if scan.rolling > 1
    fprintf(['rtrecon: the display averages %d frames; frames are sent as they were ' ...
             'scanned, each for itself\n'], scan.rolling);
end
end

function texts = num2cellstr(numbers)
texts = arrayfun(@(n) sprintf('%d', n), numbers(:)', 'UniformOutput', false);
end
