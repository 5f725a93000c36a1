function [connection, next] = tcp_authenticate(connection)
%TCP_AUTHENTICATE  Answer the daemon's challenge with HMAC-SHA256, keyed by the token.
%   Returns the next phase, which can be the same.
next = connection.phase;
if strcmp(connection.phase, 'await_challenge')
    connection.inbox.limit(int32(36));
    tcp_read(connection);
    if connection.inbox.position() < 36
        return
    end
    challenge = javaMethod('copyOf', 'java.util.Arrays', connection.inbox.array(), ...
                           int32(36));
    mac = javaMethod('getInstance', 'javax.crypto.Mac', 'HmacSHA256');
    mac.init(javaObject('javax.crypto.spec.SecretKeySpec', ...
                        encode_utf8(connection.token), 'HmacSHA256'));
    answer = javaMethod('allocate', 'java.nio.ByteBuffer', int32(36));
    answer.put(int8('RTRA'));
    answer.put(mac.doFinal(challenge));
    answer.flip();
    connection.channel.write(answer);  % the first bytes of a connection always fit
    connection.inbox.clear();
    next = 'await_acceptance';
else
    reply = tcp_read_reply(connection);
    if ~isempty(reply)
        tcp_require_acknowledged(reply);
        next = 'open';
    end
end
end
