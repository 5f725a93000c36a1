function tcp_require_taken(said)
%TCP_REQUIRE_TAKEN  An error, in the daemon's words, unless it only said "taken".
if all(said == char(6))
    return
end
if strncmp(said, 'RTRC', 4)
    error('rtrecon:tcp', ['it asks for a token: give the argument ''keys'', a folder ' ...
                          'made by: rtrecon keys']);
end
error('rtrecon:tcp', '%s', strtrim(said(said >= ' ')));
end
