function count = react_to_rule(rule, act, seconds, varargin)
%REACT_TO_RULE  Act whenever a rule of the daemon's settings fires.
%
%   react_to_rule('lost', @(event) disp(event.message), 60)
%   port = serialport('COM3', 115200);
%   react_to_rule('lost', @(event) write(port, 1, 'uint8'), Inf)
%
%   Returns how often it acted. What a dry run tells is shown and not acted on. More
%   arguments are those of rtrecon_events, which must be on the path.
count = 0;
    function hear(event)
        if ~strcmp(event.rule, rule) || ~strcmp(event.name, 'react')
            return
        end
        if event.dry_run
            fprintf('dry run: %s\n', event.message);
            return
        end
        act(event);
        count = count + 1;
    end
rtrecon_listen(@hear, seconds, varargin{:});
end
