function value = get_setting(object, path, default)
%GET_SETTING  A nested property such as 'hFastZ.enable'; the default if it does not exist.
%   Versions of ScanImage have different properties.
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
