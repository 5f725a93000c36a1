function scan = scan_settings(hSI, options)
%SCAN_SETTINGS  Settings of this acquisition that the sender needs.
%   scan.planes: depths in um; one value unless fast z scans volumes. scan.per_volume:
%   frames from one volume to the next, with flyback. scan.repeats: frames of each plane
%   in a volume. scan.rois: scan fields to send.
scan = struct('channels', options.channels, 'rois', options.rois, ...
              'mode', get_setting(hSI, 'acqState', ''), 'planes', 0, 'per_volume', 1, ...
              'repeats', 1);
scan.transposed = true;  % pixels x lines
scan.type = get_setting(hSI, 'hScan2D.channelsDataType', 'int16');
scan.rate_hz = get_setting(hSI, 'hRoiManager.scanFrameRate', NaN);
scan.many_rois = logical(get_setting(hSI, 'hRoiManager.mroiEnable', false));
scan.rolling = get_setting(hSI, 'hDisplay.displayRollingAverageFactor', 1);
% numSlices is what was entered for a stack defined by its number of slices; it stays
% when the stack is off or defined otherwise. Older versions have no actualNumSlices.
slices = get_setting(hSI, 'hStackManager.actualNumSlices', ...
                     get_setting(hSI, 'hStackManager.numSlices', 1));
fast = get_setting(hSI, 'hFastZ.enable', false) ...
    || (get_setting(hSI, 'hStackManager.enable', false) ...
        && strcmp(get_setting(hSI, 'hStackManager.stackMode', ''), 'fast'));
if fast && slices > 1
    shown = get_setting(hSI, 'hStackManager.numFramesPerVolume', slices);
    if shown == 0 || mod(shown, slices) ~= 0
        shown = slices;
    end
    scan.repeats = shown / slices;
    flyback = get_setting(hSI, 'hFastZ.numDiscardFlybackFrames', 0);
    scan.per_volume = get_setting(hSI, 'hStackManager.numFramesPerVolumeWithFlyback', ...
                              shown + flyback);
    scan.rate_hz = get_setting(hSI, 'hRoiManager.scanVolumeRate', ...
                           scan.rate_hz / scan.per_volume);
    scan.planes = scan_depths(hSI, slices);
end
end
