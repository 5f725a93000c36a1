function door = tcp_settle(door, seconds)
%TCP_SETTLE  Wait until all has been taken in, at most so long: an acquisition is over.
began = tic;
while door.underway > 0 && toc(began) < seconds
    sleep_ms(2);
    door.look_from = 0;
    door = tcp_poll(door);
end
end
