function door = tcp_write(door)
%TCP_WRITE  Write what waits, for at most two milliseconds; the rest leaves next time.
began = tic;
while ~isempty(door.queue)
    door.left(1) = door.left(1) - door.channel.write(door.queue{1});
    if door.left(1) == 0
        door.queue(1) = [];
        door.left(1) = [];
    elseif toc(began) > 0.002
        return
    end
end
end
