function door = tcp_poll(door)
%TCP_POLL  Go on with connecting, reading and writing, as far as that goes at once.
try
    door = tcp_step(door);
catch problem
    door = tcp_lost(door, problem.message);
end
end
