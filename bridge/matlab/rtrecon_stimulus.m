function rtrecon_stimulus(command, varargin)
%RTRECON_STIMULUS  Tells rtrecon what the mouse is shown, from Psychtoolbox.
%
%   rtrecon_stimulus('begin', 'clip', 'clouds')      once, before the first flip
%   rtrecon_stimulus('flip', image, index, shown_s)  after each flip
%   rtrecon_stimulus('end')                          closes, and prints the counts
%
%   image: what is on the screen now, height x width (x 3), 0 to 255, small: the encoder
%   sees a few dozen pixels, so send the frame of the movie, not of the screen.
%   index: its number in the clip. shown_s: when it was shown, by GetSecs, as the
%   StimulusOnsetTime or VBLTimestamp that Screen('Flip') returns; now, where left out.
%
%   'begin' takes names and values: 'clip' (a name for what is shown), 'transport' ('tcp'
%   or 'jeromq'), 'address', 'keys', as in rtrecon_frames, and 'clock', a function that
%   tells the time that shown_s is told in (@GetSecs). No call waits for the daemon,
%   except 'begin' and 'end', half a second at most.
%
%   The times are the wall clock's on this computer. rtrecon works out how the
%   microscope's clock lies to it; two computers should set theirs by NTP.
persistent state
switch command
    case 'begin'
        known = struct('clip', 'stimulus', 'clock', @() GetSecs());
        options = options_from(sender_options(known), varargin);
        sender = sender_begin(sender_new(options), []);
        state = struct('options', options, 'sender', sender_wait(sender, 0.5));
    case 'flip'
        if isempty(state)
            error('rtrecon:stimulus', 'call rtrecon_stimulus(''begin'', ...) first');
        end
        state.sender = shown(state, varargin{:});
    case 'end'
        if ~isempty(state)
            finish(state.sender);
            state = [];
        end
    otherwise
        error('rtrecon:stimulus', '''%s'' is none of begin, flip and end', command);
end
end

function sender = shown(state, image, index, shown_s)
clock = state.options.clock;
now_s = clock();
if nargin < 4
    shown_s = now_s;
end
image = uint8(mean(image, 3));
header = struct('clip', state.options.clip, 'index', int64(index), 'dtype', 'uint8', ...
                't_send', wall_clock_s() - (now_s - shown_s), 'shape', size(image));
sender = state.sender;
sender.door = sender.door.poll(sender.door);
[sender, taken] = sender_send(sender, 'stimulus', header, image.');
sender.frames = sender.frames + taken;
sender.dropped = sender.dropped + ~taken;
end

function finish(sender)
sender.door = sender.door.settle(sender.door, 0.5);
fprintf('rtrecon: %d stimulus frames sent, %d dropped\n', sender.frames, sender.dropped);
if sender.dropped > 0 && ~isempty(sender.door.trouble)
    fprintf('rtrecon: %s\n', sender.door.trouble);
end
sender_close(sender);
end
