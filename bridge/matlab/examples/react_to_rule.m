function count = react_to_rule(rule, action, seconds, varargin)
%REACT_TO_RULE  Call a function whenever a rule of the daemon's settings fires.
%
%   react_to_rule('lost', @(event) disp(event.message), 60)
%   port = serialport('COM3', 115200);
%   react_to_rule('lost', @(event) write(port, 1, 'uint8'), Inf)
%
%   Returns the number of calls. Events of a dry run are printed only. Further arguments
%   are those of rtrecon_events, which must be on the path.
count = 0;
    function on_event(event)
        if ~strcmp(event.rule, rule) || ~strcmp(event.name, 'rule_fired')
            return
        end
        if event.dry_run
            fprintf('dry run: %s\n', event.message);
            return
        end
        action(event);
        count = count + 1;
    end
rtrecon_listen(@on_event, seconds, varargin{:});
end
