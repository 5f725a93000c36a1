function sender = sender_end(sender, reason)
%SENDER_END  Send the end message, and give queued messages a moment to be sent.
fields = struct('reason', reason, 'frames', int64(sender.frames), ...
                'dropped', int64(sender.dropped));
sender = sender_send(sender, 'end', fields, []);
sender.connection = sender.connection.flush(sender.connection, 0.5);
sender.session = new_session_id();  % for the next session
end
