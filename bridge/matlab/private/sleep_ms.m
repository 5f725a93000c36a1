function sleep_ms(milliseconds)
%SLEEP_MS  Wait. MATLAB's own pause would let other callbacks of ScanImage run.
javaMethod('sleep', 'java.lang.Thread', milliseconds);
end
