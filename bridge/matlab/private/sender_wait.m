function sender = sender_wait(sender, seconds)
%SENDER_WAIT  Give the door that long to connect; shorter where nobody is there.
began = tic;
sender.door = sender.door.poll(sender.door);
while sender.door.is_hopeful(sender.door) && toc(began) < seconds
    sleep_ms(2);
    sender.door = sender.door.poll(sender.door);
end
end
