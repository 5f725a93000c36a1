function options = options_from(options, arguments)
%OPTIONS_FROM  Defaults, with names and values written over them; unknown names are errors.
if mod(numel(arguments), 2) ~= 0
    error('rtrecon:options', 'arguments come as names and values, {''channels'', 1}');
end
for i = 1:2:numel(arguments)
    name = arguments{i};
    if ~ischar(name) || ~isfield(options, name)
        error('rtrecon:options', '%s is no argument; there are: %s', ...
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
