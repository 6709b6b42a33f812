function net = imagenet_init(varargin)
% IMAGENET_INIT  AlexNet, VGG-F, VGG-M, VGG-S or VGG-VD-16, with random values

opts.scale = 1 ;
opts.initBias = 0 ;
opts.weightDecay = 1 ;
%opts.weightInitMethod = 'xavierimproved' ;
opts.weightInitMethod = 'gaussian' ;
opts.model = 'alexnet' ;
opts.width = 1 ;
opts.batchNormalization = false ;
opts.networkType = 'simplenn' ;
opts.cudnnWorkspaceLimit = 1024*1024*1204 ; % 1GB
opts.classNames = {} ;
opts.classDescriptions = {} ;
opts.averageImage = zeros(3,1) ;
opts.colorDeviation = zeros(3) ;
opts = vl_argparse(opts, varargin) ;

switch opts.model
  case 'alexnet'
    net.meta.normalization.imageSize = [227, 227, 3] ;
    net = alexnet(net, opts) ;
    bs = 256 ;
  case {'vgg-f', 'vgg-m', 'vgg-s'}
    net.meta.normalization.imageSize = [224, 224, 3] ;
    net = feval(strrep(opts.model, '-', '_'), net, opts) ;
    bs = 256 - 128 * ismember(opts.model, {'vgg-m', 'vgg-s'}) ;
  case {'vgg-vd-16', 'vgg-vd-19'}
    net.meta.normalization.imageSize = [224, 224, 3] ;
    net = vgg_vd(net, opts) ;
    bs = 32 ;
  otherwise
    error('Unknown model ''%s''', opts.model) ;
end

% final touches
switch lower(opts.weightInitMethod)
  case {'xavier', 'xavierimproved'}
    net.layers{end}.weights{1} = net.layers{end}.weights{1} / 10 ;
end
net.layers{end+1} = struct('type', 'softmaxloss', 'name', 'loss') ;

% Meta parameters
net.meta.inputSize = [net.meta.normalization.imageSize, 32] ;
net.meta.normalization.cropSize = net.meta.normalization.imageSize(1) / 256 ;
net.meta.normalization.averageImage = opts.averageImage ;
net.meta.classes.name = opts.classNames ;
net.meta.classes.description = opts.classDescriptions ;
net.meta.augmentation.jitterLocation = true ;
net.meta.augmentation.jitterFlip = true ;
net.meta.augmentation.jitterBrightness = double(0.1 * opts.colorDeviation) ;
net.meta.augmentation.jitterAspect = [2/3, 3/2] ;

if ~opts.batchNormalization
  lr = logspace(-2, -4, 60) ;
else
  lr = logspace(-1, -4, 20) ;
end
net.meta.trainOpts.learningRate = lr ;
net.meta.trainOpts.numEpochs = numel(lr) ;
net.meta.trainOpts.batchSize = bs ;
net.meta.trainOpts.weightDecay = 0.0005 ;

net = vl_simplenn_tidy(net) ;

switch lower(opts.networkType)
  case 'simplenn'
    % done
  case 'dagnn'
    net = dagnn.DagNN.fromSimpleNN(net, 'canonicalNames', true) ;
    net.addLayer('top1err', dagnn.Loss('loss', 'classerror'), {'prediction','label'}, 'top1err') ;
    net.addLayer('top5err', dagnn.Loss('loss', 'topkerror', 'opts', {'topK',5}), {'prediction','label'}, 'top5err') ;
  otherwise
    assert(false) ;
end

% --------------------------------------------------------------------
function net = add_block(net, opts, id, h, w, in, out, stride, pad)
% --------------------------------------------------------------------
info = vl_simplenn_display(net) ;
fc = (h == info.dataSize(1,end) && w == info.dataSize(2,end)) ;
if fc, name = 'fc' ; else, name = 'conv' ; end
convOpts = {'CudnnWorkspaceLimit', opts.cudnnWorkspaceLimit} ;
net.layers{end+1} = struct('type', 'conv', 'name', sprintf('%s%s', name, id), ...
                           'weights', {{init_weight(opts, h, w, in, out, 'single'), ...
                             ones(out, 1, 'single')*opts.initBias}}, ...
                           'stride', stride, ...
                           'pad', pad, ...
                           'dilate', 1, ...
                           'learningRate', [1 2], ...
                           'weightDecay', [opts.weightDecay 0], ...
                           'opts', {convOpts}) ;
if opts.batchNormalization
  net.layers{end+1} = struct('type', 'bnorm', 'name', sprintf('bn%s',id), ...
                             'weights', {{ones(out, 1, 'single'), zeros(out, 1, 'single'), ...
                               zeros(out, 2, 'single')}}, ...
                             'epsilon', 1e-4, ...
                             'learningRate', [2 1 0.1], ...
                             'weightDecay', [0 0]) ;
end
net.layers{end+1} = struct('type', 'relu', 'name', sprintf('relu%s',id)) ;

% -------------------------------------------------------------------------
function weights = init_weight(opts, h, w, in, out, type)
% -------------------------------------------------------------------------
switch lower(opts.weightInitMethod)
  case 'gaussian'
    sc = 0.01/opts.scale ;
    weights = randn(h, w, in, out, type)*sc ;
  case 'xavier'
    sc = sqrt(3/(h*w*in)) ;
    weights = (rand(h, w, in, out, type)*2 - 1)*sc ;
  case 'xavierimproved'
    sc = sqrt(2/(h*w*out)) ;
    weights = randn(h, w, in, out, type)*sc ;
  otherwise
    error('Unknown weight initialization method''%s''', opts.weightInitMethod) ;
end

% --------------------------------------------------------------------
function net = add_norm(net, opts, id)
% --------------------------------------------------------------------
if ~opts.batchNormalization
  net.layers{end+1} = struct('type', 'normalize', ...
                             'name', sprintf('norm%s', id), ...
                             'param', [5 1 0.0001/5 0.75]) ;
end

% --------------------------------------------------------------------
function net = add_pool(net, id, k, pad)
% --------------------------------------------------------------------
net.layers{end+1} = struct('type', 'pool', 'name', ['pool' id], ...
                           'method', 'max', ...
                           'pool', [k k], ...
                           'stride', 2, ...
                           'pad', pad) ;

% --------------------------------------------------------------------
function net = add_dropout(net, opts, id)
% --------------------------------------------------------------------
if ~opts.batchNormalization
  net.layers{end+1} = struct('type', 'dropout', ...
                             'name', sprintf('dropout%s', id), ...
                             'rate', 0.5) ;
end

% --------------------------------------------------------------------
function net = add_head(net, opts, k, in, wide)
% fc6, fc7 and the classes' scores
% --------------------------------------------------------------------
net = add_block(net, opts, '6', k, k, in, wide, 1, 0) ;
net = add_dropout(net, opts, '6') ;
net = add_block(net, opts, '7', 1, 1, wide, wide, 1, 0) ;
net = add_dropout(net, opts, '7') ;
net = add_block(net, opts, '8', 1, 1, wide, max([1000 numel(opts.classNames)]), 1, 0) ;
net.layers(end) = [] ;
if opts.batchNormalization, net.layers(end) = [] ; end

% --------------------------------------------------------------------
function n = wide(opts, n)
% --------------------------------------------------------------------
n = max(1, round(n * opts.width)) ;

% --------------------------------------------------------------------
function net = alexnet(net, opts)
% --------------------------------------------------------------------
c = arrayfun(@(n) 2 * wide(opts, n), [48 128 192 192 128]) ; % two groups
net.layers = {} ;
net = add_block(net, opts, '1', 11, 11, 3, c(1), 4, 0) ;
net = add_norm(net, opts, '1') ;
net = add_pool(net, '1', 3, 0) ;
net = add_block(net, opts, '2', 5, 5, c(1)/2, c(2), 1, 2) ;
net = add_norm(net, opts, '2') ;
net = add_pool(net, '2', 3, 0) ;
net = add_block(net, opts, '3', 3, 3, c(2), c(3), 1, 1) ;
net = add_block(net, opts, '4', 3, 3, c(3)/2, c(4), 1, 1) ;
net = add_block(net, opts, '5', 3, 3, c(4)/2, c(5), 1, 1) ;
net = add_pool(net, '5', 3, 0) ;
net = add_head(net, opts, 6, c(5), wide(opts, 4096)) ;

% --------------------------------------------------------------------
function net = vgg_f(net, opts)
% --------------------------------------------------------------------
c = round(opts.width * 64 * [1 4 4 4 4]) ;
net.layers = {} ;
net = add_block(net, opts, '1', 11, 11, 3, c(1), 4, 0) ;
net = add_norm(net, opts, '1') ;
net = add_pool(net, '1', 3, [0 1 0 1]) ;
net = add_block(net, opts, '2', 5, 5, c(1), c(2), 1, 2) ;
net = add_norm(net, opts, '2') ;
net = add_pool(net, '2', 3, 0) ;
for l = 3:5
  net = add_block(net, opts, num2str(l), 3, 3, c(l-1), c(l), 1, 1) ;
end
net = add_pool(net, '5', 3, 0) ;
net = add_head(net, opts, 6, c(5), wide(opts, 4096)) ;

% --------------------------------------------------------------------
function net = vgg_m(net, opts)
% --------------------------------------------------------------------
c = [wide(opts, 96), wide(opts, 256), repmat(wide(opts, 512), 1, 3)] ;
net.layers = {} ;
net = add_block(net, opts, '1', 7, 7, 3, c(1), 2, 0) ;
net = add_norm(net, opts, '1') ;
net = add_pool(net, '1', 3, 0) ;
net = add_block(net, opts, '2', 5, 5, c(1), c(2), 2, 1) ;
net = add_norm(net, opts, '2') ;
net = add_pool(net, '2', 3, [0 1 0 1]) ;
for l = 3:5
  net = add_block(net, opts, int2str(l), 3, 3, c(l-1), c(l), 1, 1) ;
end
net = add_pool(net, '5', 3, 0) ;
net = add_head(net, opts, 6, c(end), wide(opts, 4096)) ;

% --------------------------------------------------------------------
function net = vgg_s(net, opts)
% --------------------------------------------------------------------
c = [wide(opts, 96), wide(opts, 256), repmat(wide(opts, 512), 1, 3)] ;
net.layers = {} ;
net = add_block(net, opts, '1', 7, 7, 3, c(1), 2, 0) ;
net = add_norm(net, opts, '1') ;
net.layers{end+1} = struct('type', 'pool', 'name', 'pool1', 'method', 'max', ...
                           'pool', [3 3], 'stride', 3, 'pad', [0 2 0 2]) ;
net = add_block(net, opts, '2', 5, 5, c(1), c(2), 1, 0) ;
net.layers{end+1} = struct('type', 'pool', 'name', 'pool2', 'method', 'max', ...
                           'pool', [2 2], 'stride', 2, 'pad', [0 1 0 1]) ;
for l = 3:5
  net = add_block(net, opts, sprintf('%i', l), 3, 3, c(l-1), c(l), 1, 1) ;
end
net.layers{end+1} = struct('type', 'pool', 'name', 'pool5', 'method', 'max', ...
                           'pool', [3 3], 'stride', 3, 'pad', [0 1 0 1]) ;
net = add_head(net, opts, 6, c(end), wide(opts, 4096)) ;

% --------------------------------------------------------------------
function net = vgg_vd(net, opts)
% --------------------------------------------------------------------
more = isequal(opts.model, 'vgg-vd-19') ;
counts = [2 2 3+more 3+more 3+more] ;
in = 3 ;
net.layers = {} ;
for s = 1:5
  out = wide(opts, min(512, 64 * 2^(s-1))) ;
  for k = 1:counts(s)
    net = add_block(net, opts, sprintf('%d_%d', s, k), 3, 3, in, out, 1, 1) ;
    in = out ;
  end
  net = add_pool(net, num2str(s), 2, 0) ;
end
net = add_head(net, opts, 7, in, wide(opts, 4096)) ;
