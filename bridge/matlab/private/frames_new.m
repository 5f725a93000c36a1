function state = frames_new()
%FRAMES_NEW  What rtrecon_frames remembers between calls, before the first one.
state = struct( ...
    'arguments', [], ...     % as last given, from which `options` were read
    'options', [], ...
    'sender', [], ...
    'scan', [], ...          % settings of the session that is open; [] = none is
    'frame', -1, ...         % ScanImage's number of the newest frame
    'repeats', 0, ...        % frames that came again, as on fast-z flyback
    'empty', 0, ...          % frames without an image, as of line scans
    'calls', 0, ...
    'cost_ms', zeros(1, 4096), ...  % of the newest calls
    'errors', 0);            % in a row
end
