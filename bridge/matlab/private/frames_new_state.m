function state = frames_new_state()
%FRAMES_NEW_STATE  What rtrecon_frames remembers between calls, at the beginning.
state = struct( ...
    'arguments', [], ...        % the last ones, from which `options` were read
    'options', [], ...
    'sender', [], ...
    'scan', [], ...             % settings of the open session; [] = no session
    'newest_frame', -1, ...     % ScanImage's number of the newest frame
    'n_repeated', 0, ...        % repeated frames, as during fast-z flyback
    'n_without_image', 0, ...   % frames without an image, as of line scans
    'n_calls', 0, ...
    'cost_ms', zeros(1, 4096), ...  % of the newest calls
    'n_errors', 0);             % in a row
end
