function reason = tcp_find_reason(connection, problem)
%TCP_FIND_REASON  Why the daemon closed the connection: in its words, if it sent any.
%   A write can fail before the daemon's last words have been read.
reason = problem.message;
if strcmp(problem.identifier, 'rtrecon:tcp') || ~strcmp(connection.phase, 'open')
    return
end
try
    tcp_require_acknowledged(tcp_read_reply(connection));
catch answer
    if strcmp(answer.identifier, 'rtrecon:tcp')
        reason = answer.message;
    end
end
end
