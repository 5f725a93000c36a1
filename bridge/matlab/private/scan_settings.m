function scan = scan_settings(hSI, options)
%SCAN_SETTINGS  What the frames of this acquisition are, as ScanImage is set.
%   scan.planes: depths in um, one unless fast z scans volumes; scan.per_volume: frames
%   from one volume to the next, flyback included; scan.rois: which scan fields to send.
scan = struct('channels', options.channels, 'rois', options.rois, ...
              'mode', setting(hSI, 'acqState', ''), 'planes', 0, 'per_volume', 1);
scan.transposed = true;  % as frames lie: pixels x lines
scan.type = setting(hSI, 'hScan2D.channelsDataType', 'int16');
scan.rate_hz = setting(hSI, 'hRoiManager.scanFrameRate', NaN);
scan.many_rois = logical(setting(hSI, 'hRoiManager.mroiEnable', false));
scan.rolling = setting(hSI, 'hDisplay.displayRollingAverageFactor', 1);
% numSlices keeps its last value while stacks are off.
slices = setting(hSI, 'hStackManager.numSlices', 1);
fast = setting(hSI, 'hFastZ.enable', false) ...
    || (setting(hSI, 'hStackManager.enable', false) ...
        && strcmp(setting(hSI, 'hStackManager.stackMode', ''), 'fast'));
if fast && slices > 1
    flyback = setting(hSI, 'hFastZ.numDiscardFlybackFrames', 0);
    scan.per_volume = setting(hSI, 'hStackManager.numFramesPerVolumeWithFlyback', ...
                              slices + flyback);
    scan.rate_hz = setting(hSI, 'hRoiManager.scanVolumeRate', ...
                           scan.rate_hz / scan.per_volume);
    scan.planes = scan_depths(hSI, slices);
end
end
