function sender = sender_frame(sender, image)
%SENDER_FRAME  Send one image of `scan_images`, or count it as dropped.
%   The start message is sent before it: once a second, and on every new connection.
[sender, is_known] = sender_start(sender);
is_sent = false;
if is_known
    header = struct('frame', int64(image.frame), 't', image.t, 't_send', wall_clock_s(), ...
                    'channel', image.channel, 'plane', image.plane, ...
                    'shape', image.shape, 'dtype', class(image.pixels), ...
                    'dropped', int64(sender.dropped));
    if ~isempty(image.roi)
        header.roi = image.roi;
    end
    [sender, is_sent] = sender_send(sender, 'frame', header, image.pixels);
end
sender.frames = sender.frames + is_sent;
sender.dropped = sender.dropped + ~is_sent;
end
