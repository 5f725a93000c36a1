function bytes = encode_utf8(text)
%ENCODE_UTF8  The UTF-8 bytes of a text as int8, the byte type of Java.
if all(text < 128)
    bytes = int8(text);  % several times as fast
else
    bytes = typecast(unicode2native(text, 'UTF-8'), 'int8');
end
end
