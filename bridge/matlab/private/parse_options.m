function options = parse_options(options, arguments)
%PARSE_OPTIONS  Replace defaults by the given names and values; unknown names are errors.
if mod(numel(arguments), 2) ~= 0
    error('rtrecon:options', 'arguments are names and values, such as {''channels'', 1}');
end
for i = 1:2:numel(arguments)
    name = arguments{i};
    if ~ischar(name) || ~isfield(options, name)
        error('rtrecon:options', '%s is no argument; arguments are: %s', ...
              char(string_of(name)), strjoin(fieldnames(options)', ', '));
    end
    options.(name) = arguments{i + 1};
end
end

function text = string_of(value)
if ischar(value)
    text = ['''' value ''''];
else
    text = ['a ' class(value)];
end
end
