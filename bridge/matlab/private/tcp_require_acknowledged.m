function tcp_require_acknowledged(reply)
%TCP_REQUIRE_ACKNOWLEDGED  An error with the daemon's reason, unless all bytes acknowledge.
if all(reply == char(6))
    return
end
if strncmp(reply, 'RTRC', 4)
    error('rtrecon:tcp', ['it asks for a token: give the argument ''keys'', a folder ' ...
                          'made by: rtrecon keys']);
end
error('rtrecon:tcp', '%s', strtrim(reply(reply >= ' ')));
end
