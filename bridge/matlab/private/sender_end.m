function sender = sender_end(sender, reason)
%SENDER_END  Say that the session is over; what still waits is given a moment to leave.
fields = struct('reason', reason, 'frames', int64(sender.frames), ...
                'dropped', int64(sender.dropped));
sender = sender_send(sender, 'end', fields, []);
sender.door = sender.door.settle(sender.door, 0.5);
sender.session = new_session();  % the next one's, made while no frame waits
end
