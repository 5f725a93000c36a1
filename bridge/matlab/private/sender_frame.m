function sender = sender_frame(sender, image)
%SENDER_FRAME  Send one image of `scan_images`, or count it as dropped.
%   Before it, `start` is said again: each second, and to every new connection.
[sender, known] = sender_start(sender);
taken = false;
if known
    header = struct('frame', int64(image.frame), 't', image.t, 't_send', wall_clock_s(), ...
                    'channel', image.channel, 'plane', image.plane, ...
                    'shape', image.shape, 'dtype', class(image.pixels), ...
                    'dropped', int64(sender.dropped));
    if ~isempty(image.roi)
        header.roi = image.roi;
    end
    [sender, taken] = sender_send(sender, 'frame', header, image.pixels);
end
sender.frames = sender.frames + taken;
sender.dropped = sender.dropped + ~taken;
end
