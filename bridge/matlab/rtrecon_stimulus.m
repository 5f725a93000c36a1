function rtrecon_stimulus(command, varargin)
%RTRECON_STIMULUS  Sends the stimulus from Psychtoolbox to rtrecon.
%
%   rtrecon_stimulus('begin', 'clip', 'clouds')      once, before the first flip
%   rtrecon_stimulus('flip', image, index, shown_s)  after each flip
%   rtrecon_stimulus('end')                          closes, and prints the counts
%
%   image: the image on the screen, height x width (x 3), 0 to 255. The encoder uses a few
%   dozen pixels, so send the frame of the movie, not of the screen.
%   index: its number in the clip. shown_s: the time of its appearance by GetSecs, the
%   StimulusOnsetTime or VBLTimestamp that Screen('Flip') returns; default: now.
%
%   'begin' takes names and values: 'clip' (name of the stimulus movie), 'transport'
%   ('tcp' or 'jeromq'), 'address' and 'keys' as in rtrecon_frames, and 'clock', the
%   function that shown_s was read from (@GetSecs). Only 'begin' and 'end' wait for the
%   daemon, at most half a second.
%
%   Times are sent on this computer's wall clock. rtrecon estimates the offset of the
%   microscope's clock; set the clocks of both computers by NTP.
persistent state
switch command
    case 'begin'
        defaults = struct('clip', 'stimulus', 'clock', @() GetSecs());
        options = parse_options(sender_options(defaults), varargin);
        sender = sender_begin(sender_new(options), []);
        state = struct('options', options, 'sender', sender_wait(sender, 0.5));
    case 'flip'
        if isempty(state)
            error('rtrecon:stimulus', 'call rtrecon_stimulus(''begin'', ...) first');
        end
        state.sender = send_image(state, varargin{:});
    case 'end'
        if ~isempty(state)
            close_sender(state.sender);
            state = [];
        end
    otherwise
        error('rtrecon:stimulus', '''%s'' is not a command; use begin, flip or end', command);
end
end

function sender = send_image(state, image, index, shown_s)
clock = state.options.clock;
now_s = clock();
if nargin < 4
    shown_s = now_s;
end
image = uint8(mean(image, 3));
header = struct('clip', state.options.clip, 'index', int64(index), 'dtype', 'uint8', ...
                't_send', wall_clock_s() - (now_s - shown_s), 'shape', size(image));
sender = state.sender;
sender.connection = sender.connection.poll(sender.connection);
[sender, is_sent] = sender_send(sender, 'stimulus', header, image.');
sender.frames = sender.frames + is_sent;
sender.dropped = sender.dropped + ~is_sent;
end

function close_sender(sender)
sender.connection = sender.connection.flush(sender.connection, 0.5);
fprintf('rtrecon: %d stimulus frames sent, %d dropped\n', sender.frames, sender.dropped);
if sender.dropped > 0 && ~isempty(sender.connection.failure)
    fprintf('rtrecon: %s\n', sender.connection.failure);
end
sender_close(sender);
end
