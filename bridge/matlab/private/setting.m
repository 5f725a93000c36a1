function value = setting(object, path, default)
%SETTING  A property of a property, as 'hFastZ.enable'; the default where there is none.
%   ScanImage's versions differ in what they have.
value = object;
try
    for name = strsplit(path, '.')
        value = value.(name{1});
    end
catch
    value = default;
end
if isempty(value)
    value = default;
end
end
