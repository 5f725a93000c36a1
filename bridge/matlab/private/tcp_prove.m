function [door, next] = tcp_prove(door)
%TCP_PROVE  Answer the daemon's challenge: HMAC-SHA256 of it, by the token.
%   Returns the phase that comes next, which may be the same.
next = door.phase;
if strcmp(door.phase, 'asked')
    door.inbox.limit(int32(36));
    tcp_read(door);
    if door.inbox.position() < 36
        return
    end
    asked = javaMethod('copyOf', 'java.util.Arrays', door.inbox.array(), int32(36));
    mac = javaMethod('getInstance', 'javax.crypto.Mac', 'HmacSHA256');
    mac.init(javaObject('javax.crypto.spec.SecretKeySpec', utf8(door.token), ...
                         'HmacSHA256'));
    answer = javaMethod('allocate', 'java.nio.ByteBuffer', int32(36));
    answer.put(int8('RTRA'));
    answer.put(mac.doFinal(asked));
    answer.flip();
    door.channel.write(answer);  % as the first bytes of a connection they fit
    door.inbox.clear();
    next = 'answered';
else
    said = tcp_said(door);
    if ~isempty(said)
        tcp_require_taken(said);
        next = 'open';
    end
end
end
