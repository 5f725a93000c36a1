function sender_close(sender)
%SENDER_CLOSE  Close the door, after what still waits has left or has had its time.
sender.door.close(sender.door);
end
