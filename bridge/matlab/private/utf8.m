function bytes = utf8(text)
%UTF8  The bytes of a text, as int8, which Java takes for bytes.
if all(text < 128)
    bytes = int8(text);  % several times as fast
else
    bytes = typecast(unicode2native(text, 'UTF-8'), 'int8');
end
end
